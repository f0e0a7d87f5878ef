#include "common/data/crops.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <set>

#include "common/base/sha256.h"
#include "common/data/picture_reader.h"
#include "common/rule/random.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kPixels = static_cast<std::size_t>(kWorkingSide * kWorkingSide);
constexpr std::int64_t kThumbnailSide = 32;

double deviation(const std::uint8_t* pixels, std::size_t count) {
  std::uint64_t sum = 0;
  std::uint64_t squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += pixels[i];
    squares += std::uint64_t{pixels[i]} * pixels[i];
  }
  const double n = static_cast<double>(count);
  const double mean = static_cast<double>(sum) / n;
  return std::sqrt(std::max(0.0, static_cast<double>(squares) / n - mean * mean));
}

/// The whole picture at 32 × 32, zero mean and unit length; empty where it is flat.
std::vector<double> thumbnail(const GreyImage& picture) {
  std::vector<std::uint8_t> small(static_cast<std::size_t>(kThumbnailSide * kThumbnailSide));
  AreaResize(kThumbnailSide, kThumbnailSide)(picture.view(), small.data());
  double mean = 0.0;
  for (const std::uint8_t pixel : small) mean += pixel / static_cast<double>(small.size());
  std::vector<double> result(small.begin(), small.end());
  double squares = 0.0;
  for (double& value : result) {
    value -= mean;
    squares += value * value;
  }
  if (squares == 0.0) return {};
  for (double& value : result) value /= std::sqrt(squares);
  return result;
}

bool same_picture(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || b.empty()) return false;
  double product = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) product += a[i] * b[i];
  return std::abs(product) > kSamePicture;  // a negative counts as the same picture
}

/// True for a size ("3840x2160") and for the suffixes of day and night.
bool is_variant(const std::string& suffix) {
  if (suffix == "l" || suffix == "d" || suffix == "light" || suffix == "dark") return true;
  const std::size_t x = suffix.find('x');
  const auto is_side = [](const std::string& side) {
    return side.size() >= 2 && side.size() <= 5 && side.find_first_not_of("0123456789") == std::string::npos;
  };
  return x != std::string::npos && is_side(suffix.substr(0, x)) && is_side(suffix.substr(x + 1));
}

}  // namespace

const char* const kBackgroundsFolder = "/usr/share/backgrounds";

std::string picture_name(const fs::path& root, const fs::path& file) {
  fs::path relative = file.lexically_relative(root);
  std::string name = relative.replace_extension().generic_string();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c < 0x80 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
  });
  const std::size_t separator = name.find_last_of("-_");
  const bool named = separator != std::string::npos && separator > 0 && name[separator - 1] != '/';
  if (named && is_variant(name.substr(separator + 1))) name.resize(separator);
  return name;
}

std::vector<std::uint8_t> crop_picture(const GreyImage& picture, const std::string& name) {
  const std::int64_t largest = std::min(picture.width, picture.height) / 2;
  if (largest < kWorkingSide) return {};
  const rule::Random random(base::stable_hash(name), 0, 0, rule::Purpose::crop);
  AreaResize resize(kWorkingSide, kWorkingSide);
  std::vector<std::uint8_t> crops(static_cast<std::size_t>(kCropsPerPicture) * kPixels);
  std::int64_t kept = 0;
  for (std::int64_t candidate = 0; kept < kCropsPerPicture; ++candidate) {
    // Flatness is tested early, after a quarter of the crops, and again at the end.
    const bool verdict = candidate == kCropsPerPicture / 4 || candidate == kCropsPerPicture * kFlatOdds;
    if (verdict && kept * kFlatOdds < candidate) return {};
    const auto element = static_cast<std::uint32_t>(3 * candidate);
    const std::int64_t side = random.log_uniform(element, kWorkingSide, largest);
    const auto x = static_cast<std::int64_t>(
        random.below(element + 1, static_cast<std::uint64_t>(picture.width - side + 1)));
    const auto y = static_cast<std::int64_t>(
        random.below(element + 2, static_cast<std::uint64_t>(picture.height - side + 1)));
    std::uint8_t* crop = crops.data() + static_cast<std::size_t>(kept) * kPixels;
    resize({picture.pixels.data() + y * picture.width + x, side, side, picture.width}, crop);
    if (deviation(crop, kPixels) > kFlatDeviation) ++kept;
  }
  return crops;
}

WorkingSet crop_pictures(const fs::path& root, const std::vector<fs::path>& files) {
  WorkingSet set;
  set.side = kWorkingSide;
  std::set<std::string> names;
  std::vector<std::vector<double>> thumbnails;
  PictureReader reader("crops");
  for (const fs::path& file : files) {
    const std::string name = picture_name(root, file);
    if (names.count(name) != 0) continue;
    const std::optional<GreyImage> picture = reader.read(file);
    if (!picture) continue;
    const std::vector<double> small = thumbnail(*picture);
    const auto same = [&](const std::vector<double>& other) { return same_picture(small, other); };
    if (std::any_of(thumbnails.begin(), thumbnails.end(), same)) continue;
    const std::vector<std::uint8_t> crops = crop_picture(*picture, name);
    if (crops.empty()) continue;
    set.labels.insert(set.labels.end(), crops.size() / kPixels,
                      static_cast<std::int32_t>(set.class_names.size()));
    set.pixels.insert(set.pixels.end(), crops.begin(), crops.end());
    set.class_names.push_back(name);
    const auto [low, high] = std::minmax_element(picture->pixels.begin(), picture->pixels.end());
    set.ranges.push_back({static_cast<double>(*low), static_cast<double>(*high)});
    names.insert(name);
    thumbnails.push_back(small);
  }
  reader.finish(root, set);
  return set;
}

std::string crops_recipe() {
  return picture_recipe() + ", " + std::to_string(kCropsPerPicture) + " crops of " +
         std::to_string(kWorkingSide) + ", deviation " + std::to_string(kFlatDeviation) + ", odds " +
         std::to_string(kFlatOdds) + ", same picture " + std::to_string(kSamePicture);
}

}  // namespace outerloop::data
