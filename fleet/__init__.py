"""The processes of one deployment on one machine: what `edge up`, simulations and measurements start.

project.py    a data folder with everything a POP needs      processes.py  control plane and POPs as processes
policies.py   the next policy bundle, for those who publish  capacity.py   how many machines a demand needs
machine.py    what this machine is and how busy it is        browser.py    a browser as the page's module drives it
"""
