#pragma once
// Files that a command writes, held against those that it reads.
#include <string>
#include <vector>

namespace outerloop::cli {

/// Throws InputError if a file of `written` is one of `read` or stands twice in `written`, also under another
/// name (a link): the command would destroy its own input. Empty names are passed over. A name of `read` may
/// be that of a dataset in a file, FILE:/dataset or KIND:FILE.
void require_distinct(const std::vector<std::string>& read, const std::vector<std::string>& written);

}  // namespace outerloop::cli
