"""What pages say: tags, import maps, integrity."""
