//! Small programs that embed the sink.
