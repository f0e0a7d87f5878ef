#pragma once
// Addresses of this host that other hosts of a job may connect to: those of the network interfaces that Open
// MPI may use.
#include <string>
#include <vector>

namespace outerloop::net {

/// One address of a network interface that is up.
struct InterfaceAddress {
  std::string interface;  ///< e.g. "eth0"
  std::string address;    ///< numeric, e.g. "10.0.0.7" or "fd00::7"
  bool loopback = false;
};

/// The permitted interfaces in Open MPI's notation: names and subnets (10.0.0.0/24), separated by commas.
struct InterfaceChoice {
  std::string include;  ///< empty: all
  std::string exclude;  ///< only used if `include` is empty
};

/// The choice in the environment: btl_tcp_if_include, else the settings of Open MPI's daemons.
InterfaceChoice interface_choice();

/// The addresses of `all` to offer to other hosts. Loopback addresses are offered only if `choice` names
/// them, on `one_host` (and then alone), or if there are no others: on another host they would lead back to
/// that host.
std::vector<std::string> offered_addresses(const std::vector<InterfaceAddress>& all,
                                           const InterfaceChoice& choice, bool one_host);

/// Addresses of this host, in the kernel's order, without link-local IPv6 ones. Empty if the kernel does not
/// list them.
std::vector<InterfaceAddress> interface_addresses();

}  // namespace outerloop::net
