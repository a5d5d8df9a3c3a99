"""The REST resources that the emulator serves, one file each."""
