"""Filament's library: catalog -> graph -> run -> predictions and attention, without a browser."""
