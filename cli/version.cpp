#include "cli/version.h"

#include "outerloop_revision.h"

namespace outerloop::cli {

std::string version() { return OUTERLOOP_VERSION; }

std::string git_revision() { return OUTERLOOP_GIT_REVISION; }

}  // namespace outerloop::cli
