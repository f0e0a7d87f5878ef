# bench: what measures engines and coordinator.
find_package(hwy REQUIRED)

outerloop_room(
  bench
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_coordinator.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_engine.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_senders.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_estimators.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_machine.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_measure.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_peak.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_problem.cpp
          ${CMAKE_CURRENT_LIST_DIR}/bench_unroll.cpp
          ${CMAKE_CURRENT_LIST_DIR}/cores.cpp
  PUBLIC outerloop::config outerloop::coordinator outerloop::store outerloop::rule
  PRIVATE CLI11::CLI11 fmt::fmt hwy::hwy ${CMAKE_DL_LIBS})
target_link_libraries(outerloop_cli PUBLIC outerloop::bench)
