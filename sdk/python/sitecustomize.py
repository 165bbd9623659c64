"""Gives the network to every program of an interpreter that finds this directory in PYTHONPATH."""
import aeon_net

aeon_net.install()
