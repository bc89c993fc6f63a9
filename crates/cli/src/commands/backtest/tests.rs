//! The parts of the command on fixed values.
