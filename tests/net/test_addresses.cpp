// Which of a host's addresses rank 0 offers to the workers.
#include "common/net/addresses.h"
#include "tests/catch.h"

using namespace outerloop::net;
using Addresses = std::vector<std::string>;

namespace {

const std::vector<InterfaceAddress> kHost = {{"lo", "127.0.0.1", true},
                                             {"lo", "::1", true},
                                             {"eth0", "10.98.0.7", false},
                                             {"ib0", "192.168.3.200", false},
                                             {"ib0", "fd00:1::7", false}};

}  // namespace

TEST_CASE(
    "loopback addresses are offered on one host, where they are named, or where there is nothing else") {
  CHECK(offered_addresses(kHost, {}, true) == Addresses{"127.0.0.1", "::1"});
  CHECK(offered_addresses(kHost, {"eth0", ""}, true) == Addresses{"127.0.0.1", "::1"});
  CHECK(offered_addresses(kHost, {}, false) == Addresses{"10.98.0.7", "192.168.3.200", "fd00:1::7"});
  CHECK(offered_addresses(kHost, {"lo", ""}, false) == Addresses{"127.0.0.1", "::1"});
  CHECK(offered_addresses({{"lo", "127.0.0.1", true}}, {}, false) == Addresses{"127.0.0.1"});
  CHECK(offered_addresses(kHost, {"eth7", ""}, false) == Addresses{"127.0.0.1", "::1"});
  CHECK(offered_addresses({}, {}, false).empty());
}

TEST_CASE("names and subnets of Open MPI's own parameters choose the interfaces") {
  CHECK(offered_addresses(kHost, {"eth0", ""}, false) == Addresses{"10.98.0.7"});
  CHECK(offered_addresses(kHost, {"10.98.0.0/24", ""}, false) == Addresses{"10.98.0.7"});
  CHECK(offered_addresses(kHost, {"10.98.1.0/24,ib0", ""}, false) == Addresses{"192.168.3.200", "fd00:1::7"});
  CHECK(offered_addresses(kHost, {"192.168.3.192/26", ""}, false) == Addresses{"192.168.3.200"});
  CHECK(offered_addresses(kHost, {"fd00:1::/64", ""}, false) == Addresses{"fd00:1::7"});
  CHECK(offered_addresses(kHost, {"", "ib0"}, false) == Addresses{"10.98.0.7"});
  CHECK(offered_addresses(kHost, {"", "127.0.0.1/8,10.0.0.0/8"}, false) ==
        Addresses{"192.168.3.200", "fd00:1::7"});
  // What is included wins over what is excluded, as with Open MPI.
  CHECK(offered_addresses(kHost, {"eth0", "eth0"}, false) == Addresses{"10.98.0.7"});
  for (const char* nonsense : {"10.98.0.0/99", "10.98.0.0/-1", "x/24", "/", ","})
    CHECK(offered_addresses(kHost, {nonsense, ""}, false) == Addresses{"127.0.0.1", "::1"});
}

TEST_CASE("the environment that mpirun hands on says what was chosen") {
  REQUIRE(setenv("OMPI_MCA_oob_tcp_if_include", "10.0.0.0/8", 1) == 0);
  CHECK(interface_choice().include == "10.0.0.0/8");
  REQUIRE(setenv("OMPI_MCA_btl_tcp_if_include", "eth1", 1) == 0);
  CHECK(interface_choice().include == "eth1");
  unsetenv("OMPI_MCA_btl_tcp_if_include");
  unsetenv("OMPI_MCA_oob_tcp_if_include");
  CHECK(interface_choice().include.empty());
}

TEST_CASE("this host has a loopback address at least") {
  bool loopback = false;
  for (const auto& here : interface_addresses()) {
    CHECK_FALSE(here.address.empty());
    loopback = loopback || (here.loopback && here.address == "127.0.0.1");
  }
  CHECK(loopback);
}
