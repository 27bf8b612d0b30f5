"""Sippy B2BUA as it comes, but for its `radiusclient`: the program has a setting for it, but no option."""

from sippy import MyConfigParser
from sippy.b2bua import main_func

MyConfigParser.SUPPORTED_OPTIONS["radiusclient"] = ("S", "path to the Radius Client helper")

if __name__ == "__main__":
    main_func()
