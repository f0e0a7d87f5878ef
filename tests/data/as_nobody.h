#pragma once
// Scope guard that accesses files as another user, since root may read everything.
#include <unistd.h>

namespace outerloop::tests {

/// If tests run as root, files are accessed as another user until the end of the scope.
class AsNobody {
 public:
  AsNobody() : root_(::geteuid() == 0) {
    if (root_ && ::seteuid(65534) != 0) root_ = false;
  }
  ~AsNobody() {
    if (root_ && ::seteuid(0) != 0) _exit(1);
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  bool root_;
};

}  // namespace outerloop::tests
