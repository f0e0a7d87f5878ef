// MeetingPoint and the numbers of callers.
#include <sys/random.h>

#include <cerrno>
#include <sstream>

#include "common/base/error.h"
#include "common/net/silent_connection.h"

namespace outerloop::net {

std::string MeetingPoint::text() const {
  std::string result = token;
  for (const auto& endpoint : endpoints) result += " " + endpoint;
  return result;
}

MeetingPoint MeetingPoint::parse(const std::string& text) {
  constexpr std::size_t kDigits = 64, kMostEndpoints = 64;
  std::istringstream stream(text);
  MeetingPoint result;
  stream >> result.token;
  bool good = result.token.size() == kDigits &&
              result.token.find_first_not_of("0123456789abcdef") == std::string::npos;
  for (std::string word; good && stream >> word; result.endpoints.push_back(word))
    good = Endpoint::parse(word).has_value() && result.endpoints.size() < kMostEndpoints;
  if (!good)
    throw InputError(
        "the address of rank 0 is malformed: expected a token of 64 digits and addresses with ports; start "
        "all ranks with the same version of the program");
  return result;
}

CallerNumber draw_caller_number() {
  CallerNumber number = 0;
  while (getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number))
    if (errno != EINTR) throw Error("the system has no random numbers (getrandom)");
  return number | CallerNumber{1} << 63;
}

}  // namespace outerloop::net
