#include "common/net/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "common/base/text.h"

namespace outerloop::net {
namespace {

constexpr std::size_t kMostAddresses = 16;

/// The bytes of an address, 4 or 16; empty if the text is not an address.
std::vector<unsigned char> bytes_of(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) return {bytes.begin(), bytes.begin() + 4};
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return {bytes.begin(), bytes.end()};
  return {};
}

/// Whether the first `bits` bits are equal.
bool same_network(const std::string& a, const std::string& b, std::size_t bits) {
  const auto x = bytes_of(a), y = bytes_of(b);
  if (x.empty() || x.size() != y.size() || bits > 8 * x.size()) return false;
  for (std::size_t i = 0; i < bits; ++i)
    if (((x[i / 8] ^ y[i / 8]) >> (7 - i % 8)) & 1) return false;
  return true;
}

/// `word`: a name, an address or a subnet.
bool matches(const std::string& word, const InterfaceAddress& here) {
  const std::size_t slash = word.find('/');
  if (slash == std::string::npos) return word == here.interface || word == here.address;
  const int bits = std::atoi(word.c_str() + slash + 1);
  return bits >= 0 && same_network(word.substr(0, slash), here.address, static_cast<std::size_t>(bits));
}

bool any_matches(const std::string& words, const InterfaceAddress& here) {
  const auto parts = base::split_at_commas(words);
  return std::any_of(parts.begin(), parts.end(), [&](const auto& word) { return matches(word, here); });
}

std::string first_set(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  return {};
}

std::optional<InterfaceAddress> read(const ifaddrs& entry) {
  const bool running = (entry.ifa_flags & IFF_UP) != 0 && (entry.ifa_flags & IFF_RUNNING) != 0;
  if (entry.ifa_addr == nullptr || !running) return std::nullopt;
  const int family = entry.ifa_addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  if (family == AF_INET6 &&
      IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr))
    return std::nullopt;
  char text[NI_MAXHOST];
  const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (getnameinfo(entry.ifa_addr, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0)
    return std::nullopt;
  return InterfaceAddress{entry.ifa_name, text, (entry.ifa_flags & IFF_LOOPBACK) != 0};
}

}  // namespace

InterfaceChoice interface_choice() {
  return {
      first_set({"OMPI_MCA_btl_tcp_if_include", "OMPI_MCA_oob_tcp_if_include", "PRTE_MCA_prte_if_include",
                 "PRTE_MCA_oob_tcp_if_include"}),
      first_set({"OMPI_MCA_btl_tcp_if_exclude", "OMPI_MCA_oob_tcp_if_exclude", "PRTE_MCA_prte_if_exclude"})};
}

std::vector<std::string> offered_addresses(const std::vector<InterfaceAddress>& all,
                                           const InterfaceChoice& choice, bool one_host) {
  std::vector<std::string> chosen, loopback;
  for (const auto& here : all) {
    if (here.loopback) loopback.push_back(here.address);
    if (one_host) continue;
    const bool wanted = choice.include.empty() ? !here.loopback && !any_matches(choice.exclude, here)
                                               : any_matches(choice.include, here);
    if (wanted) chosen.push_back(here.address);
  }
  auto& offered = chosen.empty() ? loopback : chosen;
  // Workers try all addresses at once; the first ones suffice for a host with hundreds.
  if (offered.size() > kMostAddresses) offered.resize(kMostAddresses);
  return offered;
}

std::vector<InterfaceAddress> interface_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  std::vector<InterfaceAddress> result;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next)
    if (const auto here = read(*entry)) result.push_back(*here);
  freeifaddrs(list);
  return result;
}

}  // namespace outerloop::net
