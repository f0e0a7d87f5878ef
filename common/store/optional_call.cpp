#include "common/store/optional_call.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace outerloop::store {
namespace {

struct Words {
  const char* lacks;
  const char* follows;
};

Words words_of(OptionalCall call) {
  switch (call) {
    case OptionalCall::flush_folder:
      return {"the file system does not flush folders", "a power failure may cost the newest files"};
    case OptionalCall::flush_file:
      return {"the file system does not flush files", "a power failure may cost the newest files"};
    case OptionalCall::lock:
      break;
  }
  return {"the file system has no locks",
          "a second start on this run is noticed only by the counter in the file"};
}

}  // namespace

bool not_supported(int code) {
  // ENOTSUP and EOPNOTSUPP are equal on Linux, but differ on other systems.
  return code == EINVAL || code == ENOSYS || code == ENOTSUP || code == EOPNOTSUPP || code == ENOLCK ||
         code == EROFS || code == ENOTTY;
}

void say_not_supported(OptionalCall call, const std::string& path, int code) {
  static std::atomic<unsigned> said{0};
  const unsigned bit = 1u << static_cast<unsigned>(call);
  if ((said.fetch_or(bit) & bit) != 0) return;
  const Words words = words_of(call);
  std::fprintf(stderr, "outerloop: %s: %s (%s): %s\n", path.c_str(), words.lacks,
               std::generic_category().message(code).c_str(), words.follows);
}

}  // namespace outerloop::store
