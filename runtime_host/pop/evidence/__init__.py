"""What a POP can say of itself.

erasing.py   a purge is done once every part was deleted and counted again; only then is there a receipt
"""
