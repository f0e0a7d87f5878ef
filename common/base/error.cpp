#include "common/base/error.h"

namespace outerloop::detail {

void check_failed(const char* file, int line, const char* expression, const std::string& operands) {
  throw Error(std::string(file) + ":" + std::to_string(line) + ": internal check failed: " + expression +
              " (" + operands + ")");
}

}  // namespace outerloop::detail
