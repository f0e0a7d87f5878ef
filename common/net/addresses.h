#pragma once
// Addresses of this host that the other hosts of a job may connect to: those of the network interfaces that
// Open MPI was given.
#include <string>
#include <vector>

namespace outerloop::net {

/// One address of a network interface that is up.
struct InterfaceAddress {
  std::string interface;  ///< e.g. "eth0"
  std::string address;    ///< numeric, e.g. "10.0.0.7" or "fd00::7"
  bool loopback = false;
};

/// Which interfaces may be used, in Open MPI's own words: names and subnets (10.0.0.0/24), separated by
/// commas.
struct InterfaceChoice {
  std::string include;  ///< empty: all
  std::string exclude;  ///< only where `include` is empty
};

/// What mpirun or its caller said, by the environment: btl_tcp_if_include, else those of the daemons.
InterfaceChoice interface_choice();

/// Of `all`, those that may be offered. Loopback addresses only where they are named, on `one_host`, where
/// nothing else is offered, or where there are no others: two hosts would both take one for themselves.
std::vector<std::string> offered_addresses(const std::vector<InterfaceAddress>& all,
                                           const InterfaceChoice& choice, bool one_host);

/// Of this host, in the kernel's order; without IPv6 addresses that hold on one link alone. Empty where the
/// kernel does not say.
std::vector<InterfaceAddress> interface_addresses();

}  // namespace outerloop::net
