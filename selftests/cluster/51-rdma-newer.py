#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The same on the newer of the supported kernels: see 50-rdma.py."""

import os
import runpy

os.environ['KERNEL'] = '6.12'
os.environ.setdefault('PATHS', '0')
runpy.run_path(os.path.join(os.path.dirname(os.path.realpath(__file__)),
                            '50-rdma.py'), run_name='__main__')
