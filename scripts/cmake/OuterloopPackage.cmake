# cpack in the build folder makes outerloop_VERSION_ARCHITECTURE.deb, whose dependencies are what the program links. Of the
# program alone, without headers and static libraries: -D CPACK_DEB_COMPONENT_INSTALL=ON -D CPACK_COMPONENTS_ALL=program.
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
# What it starts, and what its presets train on.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "openmpi-bin")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "fonts-dejavu, dataset-fashion-mnist")
include(CPack)
