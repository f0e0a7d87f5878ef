#pragma once
// Standard input, output and error: makes sure that they are open, and detects lost standard output.

#include <string>

namespace outerloop::base {

/// Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed. Call it before opening anything
/// else: a file would otherwise get such a number, and terminal output would be written to that file.
void open_standard_streams();

/// Flushes standard output. Throws Error if output was lost since the start: the disk is full, or the pipe's
/// reader has gone.
void flush_standard_output();

/// The same without an exception: returns whether all output was written.
bool standard_output_is_complete();

/// Prints "outerloop: " and `line` on standard error: one line, whatever file names and texts from files are
/// in it (printable()). A line that cannot be written is lost; nothing else is.
void print_remark(const std::string& line);

}  // namespace outerloop::base
