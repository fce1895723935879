//! For tests: codecs that are no compression, and the suite that every codec passes.
