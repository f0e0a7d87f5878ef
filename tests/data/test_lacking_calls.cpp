// File systems that lack a call: fsync and flock are replaced by failing versions, for this program and for
// the HDF5 library, which uses the executable's functions in place of the C library's.
#include <hdf5.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/error.h"
#include "common/data/cache_folder.h"
#include "common/data/hdf5_array.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace {

int fsync_fails_with = 0;
int flock_fails_with = 0;

int called(int failure, long number, int descriptor, int operation) {
  if (failure == 0) return static_cast<int>(::syscall(number, descriptor, operation));
  errno = failure;
  return -1;
}

/// Sets a failure until the end of the scope.
class Failing {
 public:
  Failing(int& which, int with) : which_(which) { which_ = with; }
  ~Failing() { which_ = 0; }
  Failing(const Failing&) = delete;
  Failing& operator=(const Failing&) = delete;

 private:
  int& which_;
};

}  // namespace

extern "C" int fsync(int descriptor) { return called(fsync_fails_with, SYS_fsync, descriptor, 0); }
extern "C" int flock(int descriptor, int operation) noexcept {
  return called(flock_fails_with, SYS_flock, descriptor, operation);
}

namespace outerloop::tests {
namespace {

TEST_CASE("a cache is written where files cannot be flushed, which is said") {
  const TemporaryFolder folder;
  const data::CacheFolder cache(folder.path());
  for (const int failure : {EINVAL, ENOSYS, EOPNOTSUPP, ENOLCK}) {
    const Failing failing(fsync_fails_with, failure);
    holds(cache.write("set.cache", {1, 2, 3}), "its file system does not flush files (");
    CHECK(cache.read(folder / "set.cache", 10) == Bytes{1, 2, 3});
  }
  const Failing failing(fsync_fails_with, EIO);  // a failing disk is not a missing call
  CHECK_THROWS_AS(cache.write("set.cache", {4}), Error);
  CHECK(cache.read(folder / "set.cache", 10) == Bytes{1, 2, 3});
}

TEST_CASE("an HDF5 file is read where there are no locks, which is said") {
  const TemporaryFolder folder;
  const hid_t file = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t shape[] = {2, 2};
  const hid_t space = H5Screate_simple(2, shape, nullptr);
  const hid_t set = H5Dcreate2(file, "/x", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const Bytes bytes{1, 2, 3, 4};
  REQUIRE(H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) >= 0);
  H5Dclose(set);
  H5Sclose(space);
  H5Fclose(file);
  for (const int failure : {ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL}) {
    const Failing failing(flock_fails_with, failure);
    const data::LabelledArray read = data::read_hdf5({folder / "a.h5", "/x"});
    CHECK(read.x.bytes == bytes);
    REQUIRE(read.remarks.size() == 1);
    holds(read.remarks[0], "read without a lock, which its file system does not have (");
  }
  CHECK(data::read_hdf5({folder / "a.h5", "/x"}).remarks.empty());
}

}  // namespace
}  // namespace outerloop::tests
