"""Test::Nginx specifications, read and run on pygw: see `items` for what pytest makes of them."""
