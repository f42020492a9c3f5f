#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The same on the newer of the supported kernels: see 10-guest.py."""

import os
import runpy

os.environ['KERNEL'] = '6.12'
os.environ.setdefault('MOVES', '40')
os.environ.setdefault('HOTPLUGS', '2')
os.environ.setdefault('FILL', '768')
runpy.run_path(os.path.join(os.path.dirname(os.path.realpath(__file__)),
                            '10-guest.py'), run_name='__main__')
