# cmake --install and find_package(outerloop). Two components: the program, and what a project that links it needs.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME program)

get_property(exported GLOBAL PROPERTY OUTERLOOP_EXPORTED)
install(TARGETS ${exported} EXPORT outerloop-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS outerloop RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(room common coordinator worker)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/outerloop COMPONENT development
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs ${PROJECT_SOURCE_DIR}/rules
        DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop)
install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/mpirun ${PROJECT_SOURCE_DIR}/scripts/hosts
        DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop/scripts)
install(FILES ${PROJECT_SOURCE_DIR}/scripts/lib.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop/scripts)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/scripts/slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/outerloop/scripts
        USE_SOURCE_PERMISSIONS)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/outerloop)
install(EXPORT outerloop-targets NAMESPACE outerloop:: DESTINATION ${package_directory} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/outerloop-config.cmake.in
                              ${PROJECT_BINARY_DIR}/outerloop-config.cmake
                              INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/outerloop-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/outerloop-config.cmake ${PROJECT_BINARY_DIR}/outerloop-config-version.cmake
        DESTINATION ${package_directory} COMPONENT development)
