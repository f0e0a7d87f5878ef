#pragma once
// Standard input, output and error: open from the start, and an error where standard output took less than
// was written.

namespace outerloop::base {

/// Opens whichever of the descriptors 0, 1 and 2 are closed on /dev/null. To be called before anything else
/// is opened, which would otherwise get their numbers: what belongs on the screen would then land in that
/// file.
void open_standard_streams();

/// Flushes standard output. Throws Error where it has not taken everything that was written since the start:
/// the disk is full, or the pipe's reader has gone.
void flush_standard_output();

/// The same, without an exception: whether everything was taken.
bool standard_output_is_complete();

}  // namespace outerloop::base
