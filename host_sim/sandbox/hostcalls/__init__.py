"""The host functions, one module per WIT interface, named as in the WIT."""
