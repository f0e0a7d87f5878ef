// A user's way from end to end: scikit-learn's bundled digits in, features out, a classifier of scikit-learn
// on them.
#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;

TEST_CASE("features of scikit-learn's digits tell digits apart") {
  if (run_shell("python3 -c \"import sklearn, numpy\"").exit_code != 0)
    skip("scikit-learn is not installed (Debian package python3-sklearn)");
  const TemporaryFolder folder;
  const auto python = [&](const std::string& code) {
    std::ofstream(folder / "code.py") << "import numpy\nfrom sklearn.datasets import load_digits\n"
                                      << "folder = \"" << folder.path().string() << "/\"\n"
                                      << code;
    const auto finished = run_shell("python3 " + (folder / "code.py"));
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return finished.out;
  };
  python("numpy.save(folder + \"digits.npy\", load_digits().images)\n");
  const auto train = run_alone("train smoke --run-dir " + (folder / "run"));
  INFO(train.err);
  REQUIRE(train.exit_code == 0);
  const auto applied = run_alone("apply " + (folder / "run/rule.h5") + " --input " + (folder / "digits.npy") +
                                 " --output " + (folder / "features.npy"));
  INFO(applied.err);
  REQUIRE(applied.exit_code == 0);
  CHECK(applied.out.find("1797 examples of 64 inputs, scaled together") != std::string::npos);
  const double accuracy =
      std::stod(python("from sklearn.neighbors import KNeighborsClassifier\n"
                       "x = numpy.load(folder + \"features.npy\")\n"
                       "y = load_digits().target\n"
                       "assert x.dtype == numpy.float32 and x.shape[0] == 1797 and numpy.isfinite(x).all()\n"
                       "print(KNeighborsClassifier(5).fit(x[:1000], y[:1000]).score(x[1000:], y[1000:]))\n"));
  CHECK(accuracy > 0.4);  // ten classes; a rule of seconds and eight features
}
