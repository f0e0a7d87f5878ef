#include "cli/bounded_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/base/cores.h"
#include "common/net/launch.h"

namespace outerloop::cli {
namespace {

/// Time limit of a call in seconds. With free cores it takes tenths of a second.
double most_seconds() {
  constexpr double kSeconds = 15.0, kRanksOnACore = 4.0;
  const char* ranks = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  const double crowd = ranks == nullptr ? 1.0 : std::atof(ranks) / base::available_cores() / kRanksOnACore;
  return kSeconds * std::max(1.0, crowd);
}

}  // namespace

bool BoundedCall::operator()(const std::string& what, const std::function<void()>& call) const {
  if (!hooks_.checkpoint()) return false;
  const double seconds = most_seconds();
  const auto expire = [this, what, seconds](const std::string&) {
    std::fprintf(stderr,
                 "outerloop: MPI was asked %s and has not returned for %.0f s; the job ends, and can be "
                 "resumed from its last checkpoint\n",
                 what.c_str(), seconds);
    hooks_.end_job();
    net::leave_status(kMpiStatus);
    std::_Exit(kMpiStatus);
  };
  watchdog_.watch("MPI " + what);
  const auto before = watchdog_.exchange({seconds, "the time limit of MPI", expire});
  struct Restore {
    ~Restore() { watchdog.exchange(terms); }
    net::Watchdog& watchdog;
    net::Watchdog::Terms terms;
  } restore{watchdog_, before};
  call();
  return true;
}

}  // namespace outerloop::cli
