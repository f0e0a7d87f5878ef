#include "common/base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "common/base/error.h"
#include "common/base/text.h"

namespace outerloop::base {
namespace {

/// errno of the first failed write, if known.
int write_error = 0;

constexpr std::size_t kMostRemark = 8192;  // bytes

}  // namespace

void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // open gives the lowest free number: those below are taken by now.
    const int opened = open("/dev/null", O_RDWR);
    if (opened >= 0 && opened != descriptor) {
      dup2(opened, descriptor);
      close(opened);
    }
  }
}

void print_remark(const std::string& line) {
  std::fprintf(stderr, "outerloop: %s\n", printable(line, kMostRemark).c_str());
}

bool standard_output_is_complete() {
  errno = 0;
  const bool failed_before = std::ferror(stdout) != 0;
  const bool flushed = std::fflush(stdout) == 0;
  if (!flushed && write_error == 0) write_error = errno;
  // glibc keeps unwritten data, and reports the failure again at the next flush.
  return flushed && !failed_before && std::ferror(stdout) == 0;
}

void flush_standard_output() {
  if (standard_output_is_complete()) return;
  // The failed write was in a library that kept no errno; the next write returns it.
  if (write_error == 0 && write(STDOUT_FILENO, "\n", 1) < 0) write_error = errno;
  const std::string reason =
      write_error != 0 ? std::generic_category().message(write_error) : "a write has failed";
  throw Error("standard output: cannot be written: " + reason + "; what was printed there is not complete");
}

}  // namespace outerloop::base
