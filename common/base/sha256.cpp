#include "common/base/sha256.h"

#include <openssl/evp.h>

#include "common/base/error.h"

namespace outerloop::base {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

void require(bool success) {
  if (!success) throw Error("SHA-256: OpenSSL failed: check the installation of libssl");
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  require(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::update(const void* bytes, std::size_t count) {
  if (count > 0) require(EVP_DigestUpdate(context_.get(), bytes, count) == 1);
}

void Sha256::update_number(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
  update(bytes.data(), bytes.size());
}

void Sha256::update_text(const std::string& text) {
  update_number(text.size());
  update(text.data(), text.size());
}

Digest Sha256::finish() {
  Digest digest;
  unsigned int length = 0;
  require(EVP_DigestFinal_ex(context_.get(), digest.data(), &length) == 1 && length == digest.size());
  return digest;
}

std::string hex(const Digest& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::string hex(std::uint64_t number) {
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kHexDigits[number >> shift & 15];
  return text;
}

std::uint64_t stable_hash(const std::string& text) {
  Sha256 hash;
  hash.update(text.data(), text.size());
  const Digest digest = hash.finish();
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | digest[i];
  return value;
}

}  // namespace outerloop::base
