#pragma once
// Error codes of MPI calls. For the sources of this folder that include mpi.h.
namespace outerloop::net {

/// Throws Error with MPI's own text unless `code` is MPI_SUCCESS. `call`: the function's name.
void check_mpi(int code, const char* call);

/// Whether the call failed because the process at its other end has died, which only ULFM (Open MPI 5)
/// reports. Throws Error for any other failure.
bool peer_has_died(int code, const char* call);

}  // namespace outerloop::net
