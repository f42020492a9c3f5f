#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The same on three hosts: see 10-guest.py."""

import os
import runpy

os.environ['HOSTS'] = '3'
os.environ.setdefault('MOVES', '60')
os.environ.setdefault('FILL', '768')
runpy.run_path(os.path.join(os.path.dirname(os.path.realpath(__file__)),
                            '10-guest.py'), run_name='__main__')
