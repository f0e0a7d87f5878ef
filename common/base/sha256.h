#pragma once
// SHA-256 (FIPS 180-4, by OpenSSL), hexadecimal digits, and a 64-bit hash that is the same on every machine.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace outerloop::base {

using Digest = std::array<std::uint8_t, 32>;

/// Hashes bytes incrementally. Throws Error where OpenSSL fails.
class Sha256 {
 public:
  Sha256();
  void update(const void* bytes, std::size_t count);
  /// Little-endian on every machine.
  void update_number(std::uint64_t value);
  /// The length, then the bytes: no two sequences of texts hash the same input.
  void update_text(const std::string& text);
  /// Ends the hash; call once.
  Digest finish();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

/// 64 lower-case hexadecimal digits.
std::string hex(const Digest& digest);

/// 16 lower-case hexadecimal digits.
std::string hex(std::uint64_t number);

/// The first 64 bits of the SHA-256 of `text`, big-endian: a hash that is the same on every machine.
std::uint64_t stable_hash(const std::string& text);

}  // namespace outerloop::base
