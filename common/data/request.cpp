#include "common/data/request.h"

namespace outerloop::data {

DatasetRequest parse_request(const std::string& text) {
  DatasetRequest request;
  const std::size_t colon = text.find(':');
  request.name = text.substr(0, colon);
  if (colon != std::string::npos) request.path = text.substr(colon + 1);
  return request;
}

}  // namespace outerloop::data
