//! The page tells what the code does.
