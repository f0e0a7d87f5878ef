#pragma once
// The text of config.proto, which holds the comments that descriptors leave out.

namespace outerloop::config {

extern const char* const kSchemaText;

}  // namespace outerloop::config
