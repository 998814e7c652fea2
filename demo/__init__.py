"""The demo shop, Northlight: pages, asset catalogue, and the program that paints its pictures."""
