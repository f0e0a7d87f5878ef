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

TEST_CASE("new rows by a kept model are worth what they are together with the others, within a point") {
  if (run_shell("python3 -c \"import sklearn, numpy\"").exit_code != 0)
    skip("scikit-learn is not installed (Debian package python3-sklearn)");
  const TemporaryFolder folder;
  std::ofstream(folder / "code.py")
      << "import subprocess, sys\n"
         "import numpy\n"
         "from sklearn.datasets import load_digits\n"
         "from sklearn.linear_model import RidgeClassifier\n"
         "program, rule, folder = sys.argv[1:]\n"
         "digits, classes = load_digits(return_X_y=True)\n"
         "def apply(*arguments):\n"
         "    subprocess.run([program, \"apply\", *arguments], check=True, stdout=subprocess.DEVNULL)\n"
         "    return numpy.load(f\"{folder}/f.npy\")\n"
         "def score(old, new):\n"
         "    return RidgeClassifier(0.1).fit(old, y[:900]).score(new, y[900:])\n"
         "together, kept = [], []\n"
         "for seed in range(16):\n"
         "    order = numpy.random.default_rng(seed).permutation(len(digits))\n"
         "    x, y = digits[order], classes[order]\n"
         "    for name, part in ((\"all\", x), (\"old\", x[:900]), (\"new\", x[900:])):\n"
         "        numpy.save(f\"{folder}/{name}.npy\", part)\n"
         "    out = (\"--output\", f\"{folder}/f.npy\", \"--input\")\n"
         "    trained = (rule, \"--seed\", str(seed), \"--inner-steps\", \"100\", *out)\n"
         "    features = apply(*trained, f\"{folder}/all.npy\")\n"
         "    together.append(score(features[:900], features[900:]))\n"
         "    old = apply(*trained, f\"{folder}/old.npy\", \"--save-model\", f\"{folder}/m.h5\")\n"
         "    kept.append(score(old, apply(\"--model\", f\"{folder}/m.h5\", *out, f\"{folder}/new.npy\")))\n"
         "print(numpy.mean(together), numpy.mean(kept))\n";
  const auto finished = run_shell("python3 " + (folder / "code.py") + " " + executable() + " " +
                                  OUTERLOOP_RULES + "/one-core-hour.h5 " + folder.path().string());
  INFO(finished.out << finished.err);
  REQUIRE(finished.exit_code == 0);
  std::istringstream numbers(finished.out);
  double together = 0.0, kept = 0.0;
  numbers >> together >> kept;
  std::printf("new rows: %.4f together with the others, %.4f by the kept model\n", together, kept);
  // Measured: 0.9309 and 0.9289 over the 16 splits; with 48-48 instead of 64-64 units 0.9236 and 0.9201, the
  // difference with a standard error of 0.0032.
  CHECK(together > 0.88);
  CHECK(kept > together - 0.01);
}
