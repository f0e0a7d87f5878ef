# cmake -DSOURCE=... -DVERSION=... -DOUTPUT=... -P WriteRevision.cmake
# Writes the header with version and git revision; touches it only when they change. For sources without a .git folder, as
# in an image, set OUTERLOOP_GIT_REVISION in the environment.
set(revision "unknown")
if(NOT "$ENV{OUTERLOOP_GIT_REVISION}" STREQUAL "")
  set(revision $ENV{OUTERLOOP_GIT_REVISION})
endif()
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} -c safe.directory=* describe --always --dirty --abbrev=12
                  WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(described)
    set(revision ${described})
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[#pragma once
#define OUTERLOOP_VERSION "@VERSION@"
#define OUTERLOOP_GIT_REVISION "@revision@"
]] @ONLY)
