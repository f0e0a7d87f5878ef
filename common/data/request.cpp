#include "common/data/request.h"

#include "common/base/text.h"

namespace outerloop::data {

namespace {

constexpr char kTrain[] = ":train", kHeldOut[] = ":held_out";

/// Takes `suffix` off the end of `text`. False where it is not there.
bool take_suffix(std::string& text, const std::string& suffix) {
  if (!base::ends_with(text, suffix)) return false;
  text.resize(text.size() - suffix.size());
  return true;
}

}  // namespace

DatasetRequest parse_request(const std::string& text) {
  DatasetRequest request;
  std::string rest = text;
  if (take_suffix(rest, kTrain))
    request.classes = ClassSplit::train;
  else if (take_suffix(rest, kHeldOut))
    request.classes = ClassSplit::held_out;
  const std::size_t colon = rest.find(':');
  request.name = rest.substr(0, colon);
  if (colon != std::string::npos) request.path = rest.substr(colon + 1);
  return request;
}

std::string request_label(const DatasetRequest& request) {
  return request.name + (request.classes == ClassSplit::all     ? ""
                         : request.classes == ClassSplit::train ? kTrain
                                                                : kHeldOut);
}

}  // namespace outerloop::data
