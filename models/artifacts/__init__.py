"""What lies on disk: packages, symbols, entropy tables; every digest is checked, and nothing here needs torch.

arrays   Entries of archives that somebody else made, and the NumPy arrays in them
package  The exported directory: what is in it, and reading it with every digest checked
schema   Documents of others, checked field by field against the dataclass that they are to become
symbols  The symbols file: what the bitstream carries, per frame and path, and what it cost
tables   Frozen entropy tables of one part, scale-to-index, and the bits that symbols cost
"""
