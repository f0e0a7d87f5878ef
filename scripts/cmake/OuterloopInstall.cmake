# cmake --install and find_package(outerloop). The installation has two parts: the program, and the files for projects that
# link it. For find_package every room is a component with its own targets file, so that only the packages of the requested
# components are required.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME program)

install(TARGETS outerloop RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(room common coordinator worker)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/outerloop COMPONENT development
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs ${PROJECT_SOURCE_DIR}/rules
        DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop)
install(FILES ${PROJECT_SOURCE_DIR}/proto/config.proto DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop)
install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/mpirun ${PROJECT_SOURCE_DIR}/scripts/hosts
                 ${PROJECT_SOURCE_DIR}/scripts/manuals
        DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop/scripts)
install(FILES ${PROJECT_SOURCE_DIR}/scripts/lib.sh ${PROJECT_SOURCE_DIR}/scripts/launch.sh
              ${PROJECT_SOURCE_DIR}/scripts/manual-packages ${PROJECT_SOURCE_DIR}/scripts/manuals.awk
        DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop/scripts)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/scripts/slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop/scripts
        USE_SOURCE_PERMISSIONS)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/outerloop)
get_property(rooms GLOBAL PROPERTY OUTERLOOP_ROOMS)
set(needs "")
foreach(room ${rooms})
  install(TARGETS outerloop_${room} EXPORT outerloop-targets-${room}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT outerloop-targets-${room} NAMESPACE outerloop:: DESTINATION ${package_directory} COMPONENT development)
  get_property(links GLOBAL PROPERTY OUTERLOOP_LINKS_${room})
  get_property(packages GLOBAL PROPERTY OUTERLOOP_PACKAGES_${room})
  string(APPEND needs "set(outerloop_links_${room} \"${links}\")\nset(outerloop_packages_${room} \"${packages}\")\n")
endforeach()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/outerloop-config.cmake.in
                              ${PROJECT_BINARY_DIR}/outerloop-config.cmake
                              INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/outerloop-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/outerloop-config.cmake ${PROJECT_BINARY_DIR}/outerloop-config-version.cmake
        DESTINATION ${package_directory} COMPONENT development)
