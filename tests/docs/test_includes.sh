#!/usr/bin/env bash
# test_includes.sh SOURCES: includes obey the table of folders (includes.sh); in a copy of the sources, planted faults are found.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/includes.sh" "$1"

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cd "$1"
tar -c --exclude-vcs --exclude=./build --exclude=./runs --exclude=./.cache . | tar -C "$copy" -x
cd "$copy"
"$here/includes.sh" . >/dev/null || { echo "the copy is refused" && exit 1; }

# planted FILE LINE EXPECTED: with that line at its end the file is refused, and the text says why.
planted() {
  local file=$1 line=$2 expected=$3 said status=0 old=
  [ ! -e "$file" ] || old=$(mktemp)
  [ -z "$old" ] || cp "$file" "$old"
  mkdir -p "$(dirname "$file")"
  echo "$line" >>"$file"
  said=$("$here/includes.sh" .) || status=$?
  if [ "$status" -eq 0 ] || [[ $said != *"$expected"* ]]; then
    echo "$file, $line: expected \"$expected\", got: $said"
    exit 1
  fi
  if [ -n "$old" ]; then mv "$old" "$file"; else rm "$file" && rmdir -p --ignore-fail-on-non-empty "$(dirname "$file")"; fi
}
planted common/rule/engine.h '#include "common/rule/fused/engine.h"' 'common/rule/ may not include common/rule/fused/'
planted common/store/hdf5.cpp ' # include "common/data/dataset.h"' 'common/store/ may not include common/data/'
planted common/evaluation/apply.cpp '#include "common/net/mpi.h"' 'common/evaluation/ may not include common/net/'
planted common/evaluation/apply.cpp '#include "outerloop/messages.pb.h"' 'common/evaluation/ may not include proto/'
planted common/evaluation/baselines/pca.h '#include "../few_shot.h"' 'there is no ../few_shot.h'
planted worker/stream.h '#include "coordinator/adam.h"' 'worker/ may not include coordinator/'
planted coordinator/adam.h '#include "worker/stream.h"' 'coordinator/ may not include worker/'
planted docs/examples/common/rule/oja.h '#include "common/rule/fused/oja.h"' 'common/rule/ may not include common/rule/fused/'
planted docs/examples/meta_training.cpp '#include "tests/catch.h"' 'docs/examples/ may not include tests/'
planted common/data/idx.cpp '#include "nowhere.h"' 'there is no nowhere.h'
planted coordinator/adam.cpp '#include <mpi.h>' 'only common/net/ may include mpi.h'
planted common/gpu/kernel.cu '// empty' 'no row has the folder common/gpu/'
heading=$'\n## The folders, lowest first\n\n'
planted docs/architecture.md "$heading| \`common/base/\` | errors | nothing |" 'two rows have common/base/'
planted docs/architecture.md "$heading| \`scripts/dev/\` | tools | \`storms/\` |" 'storms/, which is not one folder in a row above'
planted docs/architecture.md "$heading| \`scripts/dev/\` | tools | some |" 'is neither nothing, all above nor'
planted docs/architecture.md "$heading| \`weather/\` | winds | nothing |" 'there is no weather/'
echo "planted faults are found"
