#include "coordinator/folder_names.h"

namespace outerloop::coordinator {
namespace {

bool begins_with(const std::string& text, const std::string& part) {
  return text.compare(0, part.size(), part) == 0;
}

}  // namespace

bool may_be_found(const std::string& name) {
  for (const char* whole : {"lock", "join.json", "join.tmp", "lost+found", ".snapshot", ".snapshots", ".zfs",
                            ".DS_Store", ".Spotlight-V100", ".fseventsd", ".Trashes", ".directory",
                            "System Volume Information", "$RECYCLE.BIN", "desktop.ini", "Thumbs.db"})
    if (name == whole) return true;
  for (const char* beginning : {".nfs", ".fuse_hidden", ".Trash-", "._", "lock.", ".smb"})
    if (begins_with(name, beginning)) return true;
  return false;
}

bool is_of_a_start(const std::string& name) {
  for (const char* whole : {"config.textproto", "environment.json", "result.json", "metrics.jsonl", "log.txt",
                            "join.json", "join.tmp"})
    if (name == whole) return true;
  return begins_with(name, "events.out.tfevents.");
}

}  // namespace outerloop::coordinator
