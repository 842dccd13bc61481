import address from 'virtual:redoc';
import './page.css';

const script = document.createElement('script');
script.src = address;
script.onload = () => window.Redoc.init('/openapi.json', { hideDownloadButtons: false }, document.getElementById('page'));
document.head.append(script);
