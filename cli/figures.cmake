# inspect and plot: what reads the files that the other commands write. A library of its own, so that its tests need
# neither MPI nor an engine.
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET GLOBAL cairo)

outerloop_room(
  figures
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/canvas.cpp
          ${CMAKE_CURRENT_LIST_DIR}/chart.cpp
          ${CMAKE_CURRENT_LIST_DIR}/chart_axis.cpp
          ${CMAKE_CURRENT_LIST_DIR}/compare.cpp
          ${CMAKE_CURRENT_LIST_DIR}/chart_panels.cpp
          ${CMAKE_CURRENT_LIST_DIR}/figure_data.cpp
          ${CMAKE_CURRENT_LIST_DIR}/figure_drawing.cpp
          ${CMAKE_CURRENT_LIST_DIR}/figure_parts.cpp
          ${CMAKE_CURRENT_LIST_DIR}/figures.cpp
          ${CMAKE_CURRENT_LIST_DIR}/inspect.cpp
          ${CMAKE_CURRENT_LIST_DIR}/plot.cpp
  PUBLIC outerloop::store
  PRIVATE PkgConfig::CAIRO fmt::fmt)
if(TARGET outerloop_cli)
  target_link_libraries(outerloop_cli PUBLIC outerloop::figures)
endif()
