# cpack in the build folder makes outerloop_VERSION_ARCHITECTURE.deb, which depends on the libraries that the program links.
# For the program alone, without headers and static libraries, add
# -D CPACK_DEB_COMPONENT_INSTALL=ON -D CPACK_COMPONENTS_ALL=program.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME outerloop)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME outerloop)
set(CPACK_PACKAGE_VENDOR "Outerloop")
set(CPACK_PACKAGE_CONTACT "The Outerloop developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Programs that it starts, and data that its presets train on.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "openmpi-bin")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "fonts-dejavu, dataset-fashion-mnist")
include(CPack)
