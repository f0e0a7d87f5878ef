// Writes the seeds of the fuzz targets into the folder named: small, one for each thing that is parsed.
#include <zlib.h>

#include <cstdio>
#include <filesystem>

#include "common/store/stream_message.h"
#include "tests/fuzz/input.h"
#include "tests/store/support.h"
#include "tests/toy_engine.h"
#include "tests/virtual_clock.h"
#include "worker/worker.h"

namespace {

using namespace outerloop;

void write_seed(const std::string& folder, const std::string& target, const std::string& name,
                const std::string& bytes) {
  std::filesystem::create_directories(folder + "/" + target);
  tests::write_bytes(folder + "/" + target + "/" + name, bytes);
}

/// One delivery as fuzz_wire reads it.
std::string delivery(char how, const std::string& bytes) {
  const auto length = static_cast<std::uint16_t>(bytes.size());
  return std::string(1, how) + std::string(reinterpret_cast<const char*>(&length), sizeof length) + bytes;
}

/// What a worker and the coordinator say to each other in a short job, both sides in one sequence.
std::string conversation() {
  tests::ToyEngine engine(3);
  const auto tasks = tests::toy_tasks(1);
  worker::Worker worker({engine, tasks, 1, 1, 3}, {0.05, "", 0, 300.0});
  const tests::VirtualClock clock;
  proto::CoordinatorMessage work;
  work.add_assign()->set_stream(1);
  work.set_send_streams(true);
  std::string sequence = delivery(1, net::encode(worker.hello()));
  const std::string answer = net::encode({work.SerializeAsString(), {1.0f, 1.0f, 1.0f}});
  sequence += delivery(4, answer);
  if (const auto gradient = worker.handle(answer, clock)) sequence += delivery(1, net::encode(*gradient));
  proto::CoordinatorMessage stop;
  stop.set_command(proto::CoordinatorMessage::stop);
  sequence += delivery(4, net::encode({stop.SerializeAsString(), {}}));
  if (const auto farewell = worker.handle(net::encode({stop.SerializeAsString(), {}}), clock))
    sequence += delivery(2, net::encode(*farewell));
  return sequence;
}

void write_wire(const std::string& folder) {
  const std::string asynchronous(1, '\0'), deterministic(1, '\1');
  write_seed(folder, "wire", "conversation", asynchronous + conversation());
  write_seed(folder, "wire", "deterministic", deterministic + conversation());
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("its disk is gone");
  proto::CoordinatorMessage released;
  released.set_command(proto::CoordinatorMessage::released);
  released.set_finalize(true);
  write_seed(folder, "wire", "failure", deterministic + delivery(9, failure.SerializeAsString()));
  write_seed(folder, "wire", "released", asynchronous + delivery(12, released.SerializeAsString()));
  proto::CoordinatorMessage evaluate;
  evaluate.set_command(proto::CoordinatorMessage::evaluate);
  evaluate.mutable_piece()->set_task(1);
  proto::WorkerMessage hello, evaluated[2];
  hello.mutable_hello()->set_protocol(store::kProtocol);
  std::string evaluation =
      delivery(28, evaluate.SerializeAsString()) + delivery(9, hello.SerializeAsString());
  for (std::uint32_t task : {0u, 1u}) {
    evaluated[task].mutable_evaluated()->mutable_piece()->set_task(task);
    evaluated[task].mutable_evaluated()->set_meta_objective(0.5);
    evaluation += delivery(9, evaluated[task].SerializeAsString());
  }
  write_seed(folder, "wire", "evaluation", asynchronous + evaluation);
  proto::WorkerMessage gradient;
  gradient.mutable_gradient()->set_norm(1.0);
  gradient.mutable_gradient()->set_dataset("toy");
  const std::string one = delivery(25, gradient.SerializeAsString());
  write_seed(folder, "wire", "gradients", asynchronous + one + one + one + one);
  for (const auto outcome :
       {proto::Gradient::finished, proto::Gradient::too_long, proto::Gradient::finished}) {
    auto& lane = *gradient.mutable_gradient()->add_lanes();
    lane.set_outcome(outcome);
    lane.set_norm(1.0);
    lane.set_dataset("toy");
  }
  auto& state = *gradient.add_streams();
  for (int l = 0; l < 3; ++l) state.add_lanes()->add_phi(0.5);
  gradient.set_has_streams(true);
  const std::string lanes = delivery(25, gradient.SerializeAsString());
  write_seed(folder, "wire", "lanes", std::string(1, '\2') + lanes + lanes + lanes);
}

void write_files(const std::string& folder) {
  const tests::Folder scratch;
  store::Checkpoint checkpoint = tests::sample_checkpoint();
  store::write_checkpoint(scratch / "c.h5", checkpoint);
  store::write_rule(scratch / "r.h5", tests::sample_rule());
  write_seed(folder, "checkpoint", "full", tests::read_bytes(scratch / "c.h5").substr(512));
  const std::string rule = tests::read_bytes(scratch / "r.h5");
  write_seed(folder, "rule", "sealed", std::string(1, '\0') + rule);
  write_seed(folder, "rule", "content", std::string(1, '\1') + rule.substr(512));
  // The least that is a checkpoint: the fuzzer gets through it several times as often.
  checkpoint.rule.layout = rule::Layout({{"one", {2}, "unit", rule::Initializer::constant(0.5), false, 0}});
  checkpoint.rule.theta = {0.5, 0.25};
  checkpoint.rule.theta_average.clear();
  checkpoint.adam_m.clear();
  checkpoint.adam_v.clear();
  checkpoint.streams.clear();
  checkpoint.history.clear();
  checkpoint.counters.clear();
  checkpoint.dataset_sha256.clear();
  checkpoint.safe_point.reset();
  store::write_checkpoint(scratch / "small.h5", checkpoint);
  write_seed(folder, "checkpoint", "small", tests::read_bytes(scratch / "small.h5").substr(512));
}

std::string compressed(const std::string& bytes) {
  const tests::Folder scratch;
  const gzFile file = gzopen((scratch / "x.gz").c_str(), "wb9");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return tests::read_bytes(scratch / "x.gz");
}

void write_idx(const std::string& folder) {
  const std::string images = std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03", 16) + "abcdefghijkl";
  const std::string labels = std::string("\0\0\x08\x01\0\0\0\x05", 8) + std::string("\0\1\2\3\4", 5);
  write_seed(folder, "idx", "images", images);
  write_seed(folder, "idx", "labels", labels);
  write_seed(folder, "idx", "images.gz", compressed(images));
}

/// A file of version 1; its header fills 118 bytes behind the ten at the front.
std::string npy(const std::string& descr, const std::string& shape, const std::string& elements) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(117, ' ');
  return std::string("\x93NUMPY\1\0\x76\0", 10) + header + "\n" + elements;
}

void write_arrays(const std::string& folder) {
  write_seed(folder, "npy", "images", npy("|u1", "(2, 2, 2)", "abcdefgh"));
  write_seed(folder, "npy", "colour", npy("|u1", "(1, 2, 2, 3)", "abcdefghijkl"));
  write_seed(folder, "npy", "vectors", npy("<f4", "(1, 2)", std::string("\0\0\x80\x3f\0\0\0\x40", 8)));
  write_seed(folder, "npy", "labels", npy("<i2", "(3,)", std::string("\7\0\1\0\7\0", 6)));
  // One whole record, and the beginning of one.
  write_seed(folder, "cifar", "record", std::string(1, '\0') + std::string(3073, '\3'));
  write_seed(folder, "cifar", "filled", std::string("\1\7abcdef", 8));
}

void write_document(const std::string& folder) {
  // Edits: erase, rename, reshape, retype, overwrite, an attribute of a dataset, one of the file.
  write_seed(folder, "document", "erase", std::string("\0\5", 2));
  write_seed(folder, "document", "rename", std::string("\1\7\3abc", 6));
  write_seed(folder, "document", "reshape", std::string("\2\3\1\4\0\0\0\0\0\0\0", 11));
  write_seed(folder, "document", "retype", std::string("\3\11\2", 3));
  write_seed(folder, "document", "overwrite", std::string("\4\30\10\377\377\377\377\377\377\377\177", 11));
  write_seed(folder, "document", "attribute", std::string("\5\43\10position\1\0\0\0\0\0\0\0", 19));
  write_seed(folder, "document", "kind", std::string("\6\0\4kind\5theta", 13));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  write_wire(argv[1]);
  write_files(argv[1]);
  write_idx(argv[1]);
  write_arrays(argv[1]);
  write_document(argv[1]);
  return 0;
}
