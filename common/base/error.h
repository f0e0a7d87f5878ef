#pragma once
// Error and InputError, the exceptions of this program, with their exit codes; OUTERLOOP_CHECK.
//
// main prints any Error as one line and returns its exit code. Code below main catches exceptions only
// - where work can continue without the failed part: the next file, no cache, the other datasets of a report,
//   a run whose checkpoint could not be written or whose peer sent an invalid message;
// - to notify other ranks before the process ends;
// - to turn a library's exception into an Error;
// - at the end of a thread or of a child process.
#include <stdexcept>
#include <string>

namespace outerloop {

/// A failure at run time: exit code 1. The message says on one line what failed, where, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  virtual int exit_code() const { return 1; }
};

/// Bad usage or bad input (flag, config, data file, checkpoint, message): exit code 2.
class InputError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

namespace detail {
[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& operands);
}  // namespace detail

}  // namespace outerloop

/// Always-on check of an invariant of the program itself. Prints both operands.
#define OUTERLOOP_CHECK_EQ(a, b)                                                    \
  do {                                                                              \
    const auto outerloop_a = (a);                                                   \
    const auto outerloop_b = (b);                                                   \
    if (!(outerloop_a == outerloop_b))                                              \
      ::outerloop::detail::check_failed(                                            \
          __FILE__, __LINE__, #a " == " #b,                                         \
          std::to_string(outerloop_a) + " against " + std::to_string(outerloop_b)); \
  } while (false)

/// Always-on check of a condition; `message` describes the actual state.
#define OUTERLOOP_CHECK(condition, message)                                                         \
  do {                                                                                              \
    if (!(condition)) ::outerloop::detail::check_failed(__FILE__, __LINE__, #condition, (message)); \
  } while (false)
